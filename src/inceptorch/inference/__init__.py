"""From images to answers: what executes a classifier, what feeds it, and files of answers."""
