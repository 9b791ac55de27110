"""The server as those meet it who wish it ill, and as its operator finds it after a crash."""
