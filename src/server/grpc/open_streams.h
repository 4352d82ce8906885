// The streams that are open, so that a server which ends can ask them to end.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

namespace tessera::server {

// A stream as the end of the server sees it. Thread-safe: close() comes from the thread that ends the server.
class ClosableStream {
 public:
  virtual ~ClosableStream() = default;
  // Ends the stream as soon as what it has taken on is answered.
  virtual void close() = 0;
};

// Thread-safe.
class OpenStreams {
 public:
  // False: the server is ending, the stream should close at once.
  bool add(const std::shared_ptr<ClosableStream>& stream) {
    const std::lock_guard lock(mutex_);
    std::erase_if(streams_, [](const std::weak_ptr<ClosableStream>& known) { return known.expired(); });
    streams_.push_back(stream);
    return !closing_;
  }

  void close_all() {
    std::vector<std::weak_ptr<ClosableStream>> streams;
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      streams.swap(streams_);
    }
    for (const auto& known : streams) {
      if (const auto stream = known.lock()) stream->close();
    }
  }

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<ClosableStream>> streams_;
  bool closing_ = false;
};

}  // namespace tessera::server
