# ruff: noqa: T201, TID251 - this is what users write
import asyncio
import os
import sys
import threading


def total(*prices, tax=0.0):
    return sum(prices) * (1 + tax)


async def describe(name):
    await asyncio.sleep(0)
    return {"name": name, "thread": threading.current_thread().name}


def thread_name():
    return threading.current_thread().name


def process_id():
    print("working")
    return os.getpid()


def broken():
    raise ValueError("no such order")


class Final(Exception):
    retryable = False


def refused():
    raise Final("never again")


def leaves():
    sys.exit(3)


async def leaves_loop():
    sys.exit(3)


def unjsonable():
    return object()


def environment():
    return dict(os.environ)


def hungry():
    return len(bytearray(512 << 20))


def spinning():
    while True:
        pass


def sleeping():
    import time

    print("ready")
    time.sleep(600)


class Store:
    @staticmethod
    def name():
        return "corner"
