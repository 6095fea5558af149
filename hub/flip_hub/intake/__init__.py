"""How far each device's telemetry is counted, and what it last said of itself."""
