// Which processors a thread may run on: as a value, for a while, or for good. Linux.
#pragma once

#include <sched.h>

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tessera {

// A set of logical processors, numbered as the kernel numbers them. Value without heap memory, owned by one thread.
class CpuSet {
 public:
  static constexpr int kMaxCpus = CPU_SETSIZE;  // 1024

  CpuSet() = default;
  // Error: a number outside 0..kMaxCpus-1.
  static Result<CpuSet> of(std::span<const int> cpus);

  void add(int cpu);
  bool contains(int cpu) const;
  bool contains_all(const CpuSet& other) const;
  int count() const { return CPU_COUNT(&bits_); }
  std::vector<int> list() const;  // ascending
  const cpu_set_t& bits() const { return bits_; }
  cpu_set_t& bits() { return bits_; }

  friend bool operator==(const CpuSet& a, const CpuSet& b) { return CPU_EQUAL(&a.bits_, &b.bits_); }

 private:
  cpu_set_t bits_{};
};

// What the process may use: the mask its main thread has (taskset, cgroup, batch system). Ask before pinning that one.
Result<CpuSet> allowed_cpus();

// The mask of the calling thread. One system call.
Result<CpuSet> cpus_of_this_thread();

// The processor the calling thread is on right now.
int current_cpu();

// Confines the calling thread, for good. Each thread remembers the mask it set last, so that asking for the same one
// again costs no system call; masks must therefore be changed through this header alone.
Status pin_this_thread(const CpuSet& cpus);

// Confines the calling thread to some processors for its lifetime and restores the mask found. Owned by the thread that
// made it. Costs nothing where the thread is confined to exactly these already, else two or three system calls.
class ScopedPin {
 public:
  explicit ScopedPin(const CpuSet& cpus);
  ~ScopedPin();
  ScopedPin(const ScopedPin&) = delete;
  ScopedPin& operator=(const ScopedPin&) = delete;

  const Status& status() const { return status_; }  // error: the thread runs where it did before

 private:
  CpuSet before_;
  bool restore_ = false;
  Status status_;
};

// The name that top and debuggers show; the kernel keeps its first 15 bytes.
void name_this_thread(std::string_view name);

}  // namespace tessera
