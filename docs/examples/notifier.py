"""Post one message from the shell: python notifier.py http://127.0.0.1:8080 lobby "the backup is done" """

import sys

from chat_actors.client import ClientError, Identity
from chat_actors.client.sync import connect

url, room_id, text = sys.argv[1:]
try:
    with connect(url, Identity.load_or_create("notifier")) as chat, chat.room(room_id, listen=False) as room:
        receipt = room.say(text)  # waits until the server has stored it
        print(f"message {receipt.seq} of {room_id}")
except ClientError as error:
    sys.exit(str(error))
