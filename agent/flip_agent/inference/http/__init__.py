"""The server over HTTP: who may call, bodies, routes."""
