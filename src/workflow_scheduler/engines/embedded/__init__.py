"""The embedded engine: runs execute in this process, on asyncio, with every result durable before it is built upon."""
