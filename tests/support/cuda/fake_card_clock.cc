#include "tests/support/cuda/fake_card_clock.h"

#include <atomic>
#include <memory>

#include "base/clock.h"
#include "device/cuda/clock_calls.h"

namespace tessera::device::test {
namespace {

class Answers final : public FakeRun {
 public:
  Answers(ClockCalls* calls, std::uint32_t count, std::uint64_t ahead_ns)
      : calls_(calls), count_(count), ahead_ns_(ahead_ns) {}

  State look() override {
    while (answered_ < count_ && std::atomic_ref(calls_->call).load(std::memory_order_acquire) > answered_) {
      calls_->ns = static_cast<std::uint64_t>(now().time_since_epoch().count()) + ahead_ns_;
      std::atomic_ref(calls_->answer).store(++answered_, std::memory_order_release);
    }
    return answered_ < count_ ? State::kRunning : State::kEnded;
  }

 private:
  ClockCalls* const calls_;
  const std::uint32_t count_;
  const std::uint64_t ahead_ns_;
  std::uint32_t answered_ = 0;
};

}  // namespace

void add_card_clock(FakeCuda& cuda, std::uint64_t ahead_ns) {
  cuda.add_kernel({.name = "tell_card_time",
                   .arguments = {sizeof(void*), sizeof(std::uint32_t)},
                   .start = [ahead_ns](void** values, const Processors&) -> std::unique_ptr<FakeRun> {
                     return std::make_unique<Answers>(*static_cast<ClockCalls**>(values[0]),
                                                      *static_cast<std::uint32_t*>(values[1]), ahead_ns);
                   }});
}

}  // namespace tessera::device::test
