"""What is known of the packages we stand on: pins, hashes, licences; advisories where there is a network."""
