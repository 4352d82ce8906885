#include "runtime/body_memory.h"

#include <string>
#include <utility>

namespace tessera::runtime {
namespace {

// Owned by one connection at a time.
class LeasedBody final : public BodyMemory {
 public:
  LeasedBody(std::unique_ptr<device::StagingBlock> block, std::shared_ptr<ByteQuota> quota, std::string_view model,
             Bytes size)
      : block_(std::move(block)), quota_(std::move(quota)), model_(model), size_(size) {}
  ~LeasedBody() override { quota_->give(charged_); }

  std::span<std::byte> bytes() override {
    return block_ ? block_->bytes().first(static_cast<std::size_t>(size_.value)) : std::span<std::byte>();
  }

  Status charge(Bytes arrived) override {
    if (arrived > charged_) {
      if (!quota_->take({arrived.value - charged_.value})) {
        return Error(ErrorCode::kResourceExhausted, "requests to model '" + model_ + "' hold more than the " +
                                                        std::to_string(quota_->limit().value) +
                                                        " bytes of tensors that a model may have in memory");
      }
      charged_ = arrived;
    }
    return ok_status();
  }

 private:
  std::unique_ptr<device::StagingBlock> block_;
  const std::shared_ptr<ByteQuota> quota_;
  const std::string model_;
  const Bytes size_;
  Bytes charged_;
};

}  // namespace

bool ByteQuota::take(Bytes bytes) {
  std::uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes.value > limit_.value - used) {
      return false;
    }
  } while (!used_.compare_exchange_weak(used, used + bytes.value, std::memory_order_relaxed));
  return true;
}

Result<std::shared_ptr<BodyMemory>> lease_body(device::StagingPool& pool, std::shared_ptr<ByteQuota> quota,
                                               std::string_view model, Bytes size) {
  std::unique_ptr<device::StagingBlock> block;
  if (size.value > 0) {
    TESSERA_ASSIGN_OR_RETURN(block, pool.lease(size));
  }
  return std::shared_ptr<BodyMemory>(std::make_shared<LeasedBody>(std::move(block), std::move(quota), model, size));
}

}  // namespace tessera::runtime
