"""From images to predictions: engines, their input, and files of predictions."""
