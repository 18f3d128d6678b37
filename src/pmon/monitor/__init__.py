"""What is true of a room and its participants, sans-IO: data and time go in, events come out."""
