"""Programs in containers of an engine on this machine, such as Docker or Podman, by the API that both speak.

engine       the port: asks the engine at its socket
containers   what it is asked for, as plain data
"""
