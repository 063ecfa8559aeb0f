"""The units of a network, which are the channels of its layers: which fire together, and how many there really are."""
