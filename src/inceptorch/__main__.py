from inceptorch.cli import main

main()
