"""Where images come from: catalogue of standard sets, their layouts, fetching, videos, embedded photographs."""
