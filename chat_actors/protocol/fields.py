"""What the fields of messages mean, said once: their types, for the reader and for the protocol document."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta

EXAMPLE_TIME = "2026-11-24T09:30:00.000Z"

OwnName: TypeAlias = Annotated[str, Meta(description="A user: 3 to 32 of `a-z A-Z 0-9 _ -`.", examples=["alice"])]
UserName: TypeAlias = Annotated[
    str,
    Meta(
        description="A user, or with `bot:` in front one of the server's own bots, who need not log in.",
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
    Meta(ge=0, le=2**53 - 1, description="A number: up to what one in JavaScript holds exactly.", examples=[41]),
]
PageSize: TypeAlias = Annotated[
    int,
    Meta(
        ge=0,
        le=2**53 - 1,
        description="How many: 50 without it, or with 0; never more come than 200 and about 64 KiB.",
        examples=[100],
    ),
]
Count: TypeAlias = Annotated[int, Meta(description="How many.", examples=[1])]
Content: TypeAlias = Annotated[
    str,
    Meta(
        description="What is said: 1 to 4,000 characters, if the server is not set to another bound.",
        examples=["Hello!"],
    ),
]
ClientMsgId: TypeAlias = Annotated[
    str,
    Meta(
        description="1 to 64 characters of the client's own, by which a message is stored once within a day.",
        examples=["m-17"],
    ),
]
RequestId: TypeAlias = Annotated[
    str,
    Meta(
        description="Up to 64 characters of the client's own: the answer or the error carries the same.",
        examples=["r-1"],
    ),
]
Timestamp: TypeAlias = Annotated[
    str, Meta(description="UTC in ISO 8601, with milliseconds and `Z`.", examples=[EXAMPLE_TIME])
]
ChallengeText: TypeAlias = Annotated[
    str,
    Meta(
        description="32 random bytes in standard base64, to be signed: for one try, right or wrong, in five minutes.",
        examples=["q83v…"],
    ),
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
        description="Of the challenge's bytes, by RSASSA-PKCS1-v1_5 or PSS with SHA-256, in base64.", examples=["c2ln…"]
    ),
]
LastBefore: TypeAlias = Annotated[
    int,
    Meta(description="The number of the last message before one joined: what is after it comes live.", examples=[42]),
]
Recovered: TypeAlias = Annotated[bool, Meta(description="Whether all that was missed follows now.", examples=[True])]
Missed: TypeAlias = Annotated[
    int, Meta(description="How many messages there were since; those that are still kept follow now.", examples=[1])
]
Lost: TypeAlias = Annotated[
    int,
    Meta(
        description="How many of them are not kept any more: only if not recovered, and if that can be known.",
        examples=[0],
    ),
]
KindStates: TypeAlias = Annotated[
    Any, Meta(description="What the kinds of the room add, each under the name of its extension.", examples=[{}])
]
HasMore: TypeAlias = Annotated[
    bool, Meta(description="Whether there are more in the direction of reading.", examples=[False])
]
ErrorCode: TypeAlias = Annotated[str, Meta(description="A stable word for programs.", examples=["not_in_room"])]
PutOutOf: TypeAlias = Annotated[
    str,
    Meta(
        description="If the connection has been put out of this room: there, nothing is heard any more.",
        examples=["lobby"],
    ),
]
Text: TypeAlias = Annotated[str, Meta(description="For people; fixed.", examples=["…"])]
