"""Code archives and data: where they live, and the signed URLs by which clients reach them."""
