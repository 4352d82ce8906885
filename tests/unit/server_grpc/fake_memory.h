// Memory for decoded tensors without a server.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/grpc/decode/infer_decoder.h"

namespace tessera::server {

class FakeBody final : public runtime::BodyMemory {
 public:
  explicit FakeBody(std::size_t size) : size_(size), storage_(size / sizeof(Line) + 1) {}
  std::span<std::byte> bytes() override { return std::as_writable_bytes(std::span(storage_)).first(size_); }
  Status charge(Bytes arrived) override {
    charged = arrived;
    return ok_status();
  }

  Bytes charged{};

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::size_t size_;
  std::vector<Line> storage_;
};

// Owned by the test.
class FakeMemory final : public TensorMemory {
 public:
  Result<std::shared_ptr<runtime::BodyMemory>> lease(std::string_view model, Bytes size) override {
    if (model == "full") return Error(ErrorCode::kResourceExhausted, "no memory left for model 'full'");
    leased.push_back(size);
    return std::shared_ptr<runtime::BodyMemory>(std::make_shared<FakeBody>(size.value));
  }

  Result<SharedMemoryView> shared(const SharedMemoryRange& range) override {
    const auto found = regions.find(range.region);
    if (found == regions.end()) return not_found("Unable to find system shared memory region: '" + range.region + "'");
    return SharedMemoryView{std::span(*found->second).subspan(range.offset, range.byte_size), found->second};
  }

  std::vector<Bytes> leased;
  std::map<std::string, std::shared_ptr<std::vector<std::byte>>> regions;
};

}  // namespace tessera::server
