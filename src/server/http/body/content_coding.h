// gzip and deflate, in steps, so that a large body does not hold up the thread it shares with others.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "server/http/request_head.h"

namespace tessera::server::http {

// Unpacks a request body. Owned by one connection.
class Inflater {
 public:
  // `max_bytes`: of the unpacked body.
  explicit Inflater(std::size_t max_bytes);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  struct Step {
    std::size_t used = 0;                 // of the input
    std::span<const std::byte> unpacked;  // valid until the next step
  };
  // Unpacks at most `room` bytes. Nothing used and nothing unpacked: more input is needed. Errors: kInvalidArgument for
  // broken data and for bytes behind its end, kTooLarge over the limit.
  Result<Step> step(std::span<const std::byte> input, std::span<std::byte> room);

  bool done() const;  // the end of the stream was seen

 private:
  class Stream;
  std::unique_ptr<Stream> stream_;
};

// Packs an answer. Owned by one connection.
class Deflater {
 public:
  explicit Deflater(Coding coding);  // not kIdentity
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // Appends to `packed`. `last` ends the stream.
  void write(std::span<const std::byte> piece, bool last, std::string& packed);

 private:
  class Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace tessera::server::http
