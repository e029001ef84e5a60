"""certbot and acmectl, the same command lines on equal trees."""
