"""What is read: the guides, the learning pages (learn/), and what draws their figures (figures/)."""
