// Compressed messages. gRPC would unpack them whole before it looks at their size; here the size ends it.
#pragma once

#include <cstddef>

#include "base/result.h"

namespace grpc {
class ByteBuffer;
}

namespace tessera::server {

// Whether the message is so large, as it came or possibly once it is unpacked, that others would notice the wait for
// it.
bool takes_long(::grpc::ByteBuffer& message);

// Unpacks `message` in place where it is gzip or zlib data, which no message of this server's methods can begin like.
// Error: kTooLarge over `max_bytes`, kInvalidArgument for broken data.
Status unpack(::grpc::ByteBuffer& message, std::size_t max_bytes);

}  // namespace tessera::server
