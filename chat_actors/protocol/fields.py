"""The types of message fields, with the descriptions that the protocol document shows."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta

EXAMPLE_TIME = "2026-11-24T09:30:00.000Z"

OwnName: TypeAlias = Annotated[str, Meta(description="A user: 3 to 32 of `a-z A-Z 0-9 _ -`.", examples=["alice"])]
UserName: TypeAlias = Annotated[
    str,
    Meta(
        description="A user, or with `bot:` in front one of the server's bots, which do not log in.",
        examples=["alice"],
    ),
]
RoomName: TypeAlias = Annotated[
    str,
    Meta(description="A room: 1 to 128 characters, none of them a control character.", examples=["lobby"]),
]
Number: TypeAlias = Annotated[
    int, Meta(description="A message's number: strictly increasing within its room, not always by one.", examples=[42])
]
Seq: TypeAlias = Annotated[
    int,
    Meta(
        ge=0,
        le=2**53 - 1,
        description="A message's number, at most 2^53 - 1, which JavaScript holds exactly.",
        examples=[41],
    ),
]
PageSize: TypeAlias = Annotated[
    int,
    Meta(
        ge=0,
        le=2**53 - 1,
        description="How many: 50 without it, or with 0; at most 200 and about 64 KiB.",
        examples=[100],
    ),
]
Count: TypeAlias = Annotated[int, Meta(description="How many.", examples=[1])]
Content: TypeAlias = Annotated[
    str,
    Meta(
        description="The text: 1 to 4,000 characters, unless the server is configured with another limit.",
        examples=["Hello!"],
    ),
]
ClientMsgId: TypeAlias = Annotated[
    str,
    Meta(
        description="1 to 64 characters that the client chooses: repeats within a day are stored once.",
        examples=["m-17"],
    ),
]
RequestId: TypeAlias = Annotated[
    str,
    Meta(
        description="Up to 64 characters that the client chooses: the answer or the error carries the same.",
        examples=["r-1"],
    ),
]
Timestamp: TypeAlias = Annotated[
    str, Meta(description="UTC in ISO 8601, with milliseconds and `Z`.", examples=[EXAMPLE_TIME])
]
ChallengeText: TypeAlias = Annotated[
    str,
    Meta(
        description="32 random bytes in standard base64, to sign: valid for one attempt within five minutes.",
        examples=["q83v…"],
    ),
]
Additional: TypeAlias = Annotated[
    bool, Meta(description="Whether the room is one more besides the current room.", examples=[True])
]
ProtocolPart: TypeAlias = Annotated[
    int, Meta(ge=1, le=2**53 - 1, description="The highest part of the protocol that is known.", examples=[3])
]
FeatureName: TypeAlias = Annotated[str, Meta(description="A feature of the server.", examples=["rooms"])]
ClientName: TypeAlias = Annotated[
    str, Meta(description="The client's name and version, for the server's operator.", examples=["my-bot/1.2"])
]
PublicKey: TypeAlias = Annotated[
    str,
    Meta(
        description="RSA of 2048 to 8192 bits, as SubjectPublicKeyInfo or PKCS#1 in one PEM block.",
        examples=["-----BEGIN PUBLIC KEY-----…"],
    ),
]
Signature: TypeAlias = Annotated[
    str,
    Meta(
        description="Signature of the challenge's bytes: RSASSA-PKCS1-v1_5 or PSS with SHA-256, in base64.",
        examples=["c2ln…"],
    ),
]
LastBefore: TypeAlias = Annotated[
    int,
    Meta(description="The number of the last message before the join: later ones are delivered live.", examples=[42]),
]
Recovered: TypeAlias = Annotated[bool, Meta(description="Whether all missed messages follow now.", examples=[True])]
Missed: TypeAlias = Annotated[
    int,
    Meta(description="How many messages the client has missed; those that are still stored follow now.", examples=[1]),
]
Lost: TypeAlias = Annotated[
    int,
    Meta(
        description="How many of them are no longer stored: only if not recovered, and if it is known.",
        examples=[0],
    ),
]
FieldName: TypeAlias = Annotated[str, Meta(description="The field that is not valid.", examples=["since"])]
KindStates: TypeAlias = Annotated[
    Any, Meta(description="State that the room's kinds add, each under the name of its extension.", examples=[{}])
]
HasMore: TypeAlias = Annotated[
    bool, Meta(description="Whether there are more in the direction of reading.", examples=[False])
]
ErrorCode: TypeAlias = Annotated[str, Meta(description="A stable code for programs.", examples=["not_in_room"])]
RemovedFrom: TypeAlias = Annotated[
    str,
    Meta(
        description="The room from which the connection has been removed, if it has: no more messages come from it.",
        examples=["lobby"],
    ),
]
Text: TypeAlias = Annotated[str, Meta(description="A fixed text for people.", examples=["…"])]
