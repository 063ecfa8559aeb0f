"""Networks made smaller: channels that others can stand in for are taken out of the table, and of the weights."""
