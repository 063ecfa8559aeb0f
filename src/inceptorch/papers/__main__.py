from inceptorch.papers.page import page

print(page(), end="")
