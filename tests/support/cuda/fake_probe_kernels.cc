#include "tests/support/cuda/fake_probe_kernels.h"

#include <atomic>
#include <chrono>
#include <cstring>

#include "base/clock.h"
#include "tests/support/cuda/probe_args.h"

namespace tessera::device::test {
namespace {

using contract::ProbeArgs;
using contract::ProbeFault;

void note(const Processors& on, std::uint32_t* sms) {
  for (const unsigned sm : on) {
    sms[sm / 32] |= 1U << (sm % 32);
  }
}

unsigned long long next(unsigned long long* order) { return std::atomic_ref(*order).fetch_add(1) + 1; }

class Begin final : public FakeRun {
 public:
  Begin(const ProbeArgs& args, const Processors& on) : args_(args) {
    args_.blocks->began = next(args_.order);
    note(on, args_.blocks->sms);
    if (args_.gate != nullptr) {
      std::atomic_ref(args_.gate->reached).fetch_add(1);
    }
  }

  State look() override {
    if (args_.gate != nullptr && std::atomic_ref(args_.gate->open).load() == 0) {
      return State::kRunning;
    }
    if (until_ == TimePoint{}) {
      until_ = now() + std::chrono::nanoseconds(args_.busy_ns);
    }
    if (now() < until_) {
      return State::kRunning;
    }
    return args_.fault == ProbeFault::kTrap ? State::kTrapped : State::kEnded;
  }

 private:
  const ProbeArgs args_;
  TimePoint until_{};
};

// As many blocks as fill the processors; each looks at the gate.
class Hold final : public FakeRun {
 public:
  Hold(contract::ProbeGate* gate, const Processors& on) : gate_(gate) {
    std::atomic_ref(gate_->reached).fetch_add(static_cast<std::uint32_t>(on.size() * kFullBlocks));
  }
  State look() override { return std::atomic_ref(gate_->open).load() == 0 ? State::kRunning : State::kEnded; }

 private:
  static constexpr std::size_t kFullBlocks = 2;  // a processor
  contract::ProbeGate* const gate_;
};

void answer(const ProbeArgs& args, const Processors& on) {
  for (std::uint32_t i = 0; i < contract::kProbeBytes; ++i) {
    args.output[i] = i < args.bytes ? static_cast<unsigned char>(args.input[i] ^ 0xa5) : 0;
  }
  note(on, args.blocks->sms);
  std::memcpy(args.note->sms, args.blocks->sms, sizeof(args.note->sms));
  args.note->began = args.blocks->began;
  args.note->scratch = *args.scratch;
  std::atomic_ref(args.note->ended).store(next(args.order));
}

}  // namespace

void add_probe_kernels(FakeCuda& cuda) {
  cuda.add_kernel({.name = "probe_begin",
                   .arguments = {sizeof(ProbeArgs)},
                   .start = [](void** values, const Processors& on) -> std::unique_ptr<FakeRun> {
                     return std::make_unique<Begin>(*static_cast<const ProbeArgs*>(values[0]), on);
                   }});
  cuda.add_kernel({.name = "probe_answer",
                   .arguments = {sizeof(ProbeArgs)},
                   .start = [](void** values, const Processors& on) -> std::unique_ptr<FakeRun> {
                     answer(*static_cast<const ProbeArgs*>(values[0]), on);
                     return nullptr;
                   }});
  cuda.add_kernel({.name = "note_sms",
                   .arguments = {sizeof(std::uint32_t*), sizeof(std::uint64_t)},
                   .start = [](void** values, const Processors& on) -> std::unique_ptr<FakeRun> {
                     note(on, *static_cast<std::uint32_t**>(values[0]));
                     return nullptr;
                   }});
  cuda.add_kernel({.name = "hold",
                   .arguments = {sizeof(contract::ProbeGate*), sizeof(contract::ProbeHold*)},
                   .start = [](void** values, const Processors& on) -> std::unique_ptr<FakeRun> {
                     return std::make_unique<Hold>(*static_cast<contract::ProbeGate**>(values[0]), on);
                   }});
  cuda.add_kernel({.name = "nothing", .arguments = {}, .start = nullptr});
}

}  // namespace tessera::device::test
