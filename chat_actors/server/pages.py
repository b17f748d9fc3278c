"""What a browser is shown."""

WELCOME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>chat_actors</title>
<h1>chat_actors</h1>
<p>This is a chat server; it speaks over WebSocket. To talk, in a terminal:</p>
<pre>chat-actors chat --as YOUR_NAME --room lobby --url THIS_ADDRESS</pre>
"""
