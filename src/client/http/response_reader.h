// Reads an HTTP/1.1 response as it arrives, and keeps the beginning of its body.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tessera::client {

// Of one response. Owned by one thread.
class ResponseReader {
 public:
  explicit ResponseReader(std::size_t keep);
  ~ResponseReader();

  // Whether the response is complete. Error: this is no HTTP, its head has more than 64 KB, or more follows.
  Result<bool> feed(std::string_view bytes);
  // The peer has closed. Error: in the middle of the response.
  Status end();

  int status() const;
  const std::string& body() const;  // its first `keep` bytes
  bool stays() const;               // another response may follow on the connection

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
  std::string pending_;  // of a head that is not complete
};

}  // namespace tessera::client
