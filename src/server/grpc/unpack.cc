#include "server/grpc/unpack.h"

#include <grpc/slice.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "server/http/body/content_coding.h"

namespace tessera::server {
namespace {

constexpr std::size_t kPieceBytes = 256 << 10;

// Copied within a fifth of a millisecond; an image of 600 KB stays below.
constexpr std::size_t kLargeBytes = 1 << 20;
// What deflate can make of one byte, at most.
constexpr std::size_t kMostUnpacked = 1032;

// RFC 1952: 1f 8b. RFC 1950: method 8 and a checksum over two bytes. As protobuf the one is no tag at all, the other is
// field 15, which none of the requests has.
bool packed(::grpc::ByteBuffer& message) {
  ::grpc::ProtoBufferReader reader(&message);
  const void* first = nullptr;
  int size = 0;
  if (!reader.Next(&first, &size) || size < 2) return false;
  const unsigned a = static_cast<const unsigned char*>(first)[0];
  const unsigned b = static_cast<const unsigned char*>(first)[1];
  return (a == 0x1f && b == 0x8b) || (a == 0x78 && (a * 256 + b) % 31 == 0);
}

// One message being inflated, slice by slice, into pieces that are kept. Owned by one thread.
class Unpacker {
 public:
  explicit Unpacker(std::size_t max_bytes) : inflater_(max_bytes) {}

  Status add(const ::grpc::Slice& slice) {
    std::span<const std::byte> input(reinterpret_cast<const std::byte*>(slice.begin()), slice.size());
    while (true) {
      if (filled_ == kPieceBytes) close_piece();
      if (piece_.size() == 0) piece_ = ::grpc::Slice(grpc_slice_malloc_large(kPieceBytes), ::grpc::Slice::STEAL_REF);
      // Nobody else has this slice yet.
      auto* const start = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(piece_.begin()));
      const std::span<std::byte> room(start + filled_, kPieceBytes - filled_);
      TESSERA_ASSIGN_OR_RETURN(const auto step, inflater_.step(input, room));
      filled_ += step.unpacked.size();
      input = input.subspan(step.used);
      if (step.used == 0 && step.unpacked.empty()) return ok_status();  // the next slice goes on
      if (input.empty() && step.unpacked.size() < room.size()) return ok_status();
    }
  }

  Status end(::grpc::ByteBuffer& out) {
    if (!inflater_.done()) return invalid_argument("malformed compressed message: it is cut short");
    close_piece();
    out = ::grpc::ByteBuffer(pieces_.data(), pieces_.size());
    return ok_status();
  }

 private:
  void close_piece() {
    if (filled_ > 0) pieces_.push_back(piece_.sub(0, filled_));
    piece_ = {};
    filled_ = 0;
  }

  http::Inflater inflater_;
  std::vector<::grpc::Slice> pieces_;
  ::grpc::Slice piece_;     // the one that is being filled, so that many small steps do not make many pieces
  std::size_t filled_ = 0;  // of it
};

}  // namespace

bool takes_long(::grpc::ByteBuffer& message) {
  const std::size_t size = message.Length();
  return size > kLargeBytes || (size > kLargeBytes / kMostUnpacked && packed(message));
}

Status unpack(::grpc::ByteBuffer& message, std::size_t max_bytes) {
  if (!packed(message)) return ok_status();
  std::vector<::grpc::Slice> slices(1);
  if (!message.TrySingleSlice(slices.data()).ok() && !message.Dump(&slices).ok()) {
    return invalid_argument("the message cannot be read");
  }
  Unpacker unpacker(max_bytes);
  for (const ::grpc::Slice& slice : slices) TESSERA_RETURN_IF_ERROR(unpacker.add(slice));
  return unpacker.end(message);
}

}  // namespace tessera::server
