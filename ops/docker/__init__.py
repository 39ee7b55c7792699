"""What the containers of docker-compose.yml are made and judged with."""
