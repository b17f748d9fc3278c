"""A bot that answers `!roll` with a die: python dice_bot.py http://127.0.0.1:8080 lobby"""

import asyncio
import random
import sys

from chat_actors.client import ClientError, Identity, connect


async def main(url: str, room_id: str) -> None:
    identity = Identity.load_or_create("dice-bot")  # generated on the first run; the key proves the identity
    async with connect(url, identity) as chat, chat.room(room_id) as room:
        print(f"{chat.user_id} is in {room.room_id}", flush=True)
        async for message in room:
            if message.content == "!roll":
                await room.say(f"{message.user_id} rolled a {random.randint(1, 6)}")


try:
    asyncio.run(main(*sys.argv[1:]))
except ClientError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    pass
