"""The devices that a run trains on, and the processes that drive them."""
