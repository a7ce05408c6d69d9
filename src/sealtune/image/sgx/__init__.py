"""Images for Intel SGX: a folder of files and the Gramine manifest that names each of them."""
