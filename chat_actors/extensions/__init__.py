"""Extensions that are shipped, each written with the public names of `chat_actors` alone, and off until switched on."""
