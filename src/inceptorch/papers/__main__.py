from inceptorch.papers import page

print(page(), end="")
