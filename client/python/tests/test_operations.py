# Generated from test_async_operations.py by tools/unasync.py. Do not change it by hand.
def test_x():
    pass
