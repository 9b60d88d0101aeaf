"""The unit of work as a Python user would write it: nats-py and orjson.

    nats_py.py emit URL COUNT      emit until the server has confirmed all
    nats_py.py handle URL COUNT    emit until a callback has decoded all and read two fields of each

Prints how many events it did a second. Each event is built fresh, with the time in it.
"""

import asyncio
import sys
import time
from datetime import datetime, timezone

import nats
import orjson

SUBJECT = "events.node.health"
# Python's own objects are not small: without a limit, nothing is dropped.
UNLIMITED = 1 << 60


def event(number):
    return orjson.dumps(
        {
            "type": "node.health",
            "node": "node-a",
            "timestamp": datetime.now(timezone.utc),
            "data": {
                "resources": {"cpu": 0.42, "gpu": True, "mem_mb": 12345, "seq": number},
                "status": "online",
            },
        }
    )


async def emit(url, count):
    connection = await nats.connect(url)
    start = time.monotonic()
    for number in range(count):
        await connection.publish(SUBJECT, event(number))
    await connection.flush(timeout=30)
    rate = count / (time.monotonic() - start)
    await connection.close()
    return rate


async def handle(url, count):
    publisher = await nats.connect(url)
    subscriber = await nats.connect(url)
    done = asyncio.get_running_loop().create_future()
    seen = 0
    total = 0

    async def received(message):
        nonlocal seen, total
        decoded = orjson.loads(message.data)
        if decoded["data"]["status"] == "online":
            seen += 1
        total += decoded["data"]["resources"]["seq"]
        if seen == count:
            done.set_result(None)

    await subscriber.subscribe(
        SUBJECT, cb=received, pending_msgs_limit=UNLIMITED, pending_bytes_limit=UNLIMITED
    )
    await subscriber.flush()
    start = time.monotonic()
    for number in range(count):
        await publisher.publish(SUBJECT, event(number))
        # One thread does both: now and then it is the receiver's turn.
        if number % 100 == 0:
            await asyncio.sleep(0)
    await publisher.flush(timeout=30)
    await asyncio.wait_for(done, 60)
    rate = count / (time.monotonic() - start)
    if total != count * (count - 1) // 2:
        sys.exit(f"the numbers add up to {total}")
    await publisher.close()
    await subscriber.close()
    return rate


what, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print(asyncio.run({"emit": emit, "handle": handle}[what](url, count)))
