"""The command line: reads the words, calls one public function of the package, and prints what it returns."""
