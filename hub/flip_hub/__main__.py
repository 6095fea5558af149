from flip_hub.cli import main

main()
