// What the probe kernels get by value: shared by probe_kernels.cu and the tests that launch it.
#pragma once

#include <cstdint>

namespace tessera::device::contract {

inline constexpr int kSmWords = 8;  // bits for 256 processors
inline constexpr int kProbeBytes = 256;

enum class ProbeFault : std::uint32_t { kNone, kTrap };

// In the card's memory, zero before the run: what the blocks of one run share.
struct ProbeBlocks {
  std::uint32_t begun;
  std::uint32_t answered;
  std::uint32_t opened;
  std::uint32_t sms[kSmWords];
  std::uint64_t began;
  std::uint64_t began_ns;  // by the card's clock
};

// In the host's memory: what the last block of a run writes. `ended` is written last.
struct ProbeNote {
  std::uint64_t began;
  std::uint64_t ended;
  std::uint64_t began_ns;  // by the card's clock
  std::uint64_t ended_ns;  // likewise
  std::uint32_t sms[kSmWords];
  std::uint32_t scratch;  // what the graph's memset and copy left: 0
};

// In the host's memory.
struct ProbeGate {
  std::uint32_t open;
  std::uint32_t reached;
};

// In the card's memory, zero before the first run and after each: what the blocks of a hold share.
struct ProbeHold {
  std::uint32_t opened;
  std::uint32_t left;
};

// In the host's memory: the card answers each call with its time.
struct ProbeClock {
  std::uint32_t call;
  std::uint32_t answer;
  std::uint64_t ns;
};

struct ProbeArgs {
  unsigned long long* order;  // one counter for the card
  ProbeBlocks* blocks;
  ProbeNote* note;
  ProbeGate* gate;  // null: none
  const unsigned char* input;
  unsigned char* output;
  const std::uint32_t* scratch;
  std::uint64_t busy_ns;
  std::uint32_t bytes;  // of input; the output is padded with zero bytes up to kProbeBytes
  ProbeFault fault;
};

}  // namespace tessera::device::contract
