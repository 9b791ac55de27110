"""What operators see of a process: logs, figures and traces. Nothing is sent anywhere that nobody asked for."""
