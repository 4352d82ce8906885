// Which processors of the host are the atoms of a host device.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/affinity.h"
#include "base/result.h"
#include "core/slice.h"

namespace tessera::device {

// Atom i is the logical processor cpus()[i]. Immutable value.
//
// What runs in a slice of several atoms: the device calls the plan on a thread that is pinned to main_cpu(slice); the
// threads that an engine starts to help it belong on helper_cpus(slice), one each, so that two threads of one run never
// share a core while another one idles.
class HostTopology {
 public:
  // The given processors in the given order; none: all that the process may use, ascending.
  // Error: kInvalidArgument for a processor named twice, unknown, or not allowed to this process.
  static Result<HostTopology> of(std::span<const int> cpus = {});

  std::uint16_t atoms() const { return static_cast<std::uint16_t>(cpus_.size()); }
  std::span<const int> cpus() const { return cpus_; }
  std::span<const int> cpus_of(const Slice& slice) const;
  int main_cpu(const Slice& slice) const { return cpus_of(slice).front(); }
  std::span<const int> helper_cpus(const Slice& slice) const { return cpus_of(slice).subspan(1); }

  CpuSet set_of(const Slice& slice) const;
  CpuSet main_set(const Slice& slice) const;

  // Nothing for a processor that is not an atom of the device.
  std::optional<std::uint16_t> atom_of(int cpu) const;

 private:
  explicit HostTopology(std::vector<int> cpus);

  std::vector<int> cpus_;
  std::vector<std::int32_t> atom_by_cpu_;  // -1: not ours
};

}  // namespace tessera::device
