from flip_agent.cli import main

raise SystemExit(main())
