"""The claims of the study's document: computed here, or read from runs, and the page about them."""
