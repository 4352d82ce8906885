#include "device/host/topology.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tessera::device {

Result<HostTopology> HostTopology::of(std::span<const int> cpus) {
  TESSERA_ASSIGN_OR_RETURN(const CpuSet allowed, allowed_cpus());
  if (cpus.empty()) {
    return HostTopology(allowed.list());
  }
  CpuSet seen;
  for (const int cpu : cpus) {
    if (!allowed.contains(cpu)) {
      return invalid_argument("core " + std::to_string(cpu) + " does not exist or is not allowed to this process");
    }
    if (seen.contains(cpu)) {
      return invalid_argument("core " + std::to_string(cpu) + " is named twice");
    }
    seen.add(cpu);
  }
  return HostTopology({cpus.begin(), cpus.end()});
}

HostTopology::HostTopology(std::vector<int> cpus) : cpus_(std::move(cpus)) {
  atom_by_cpu_.assign(static_cast<std::size_t>(*std::max_element(cpus_.begin(), cpus_.end())) + 1, -1);
  for (std::size_t atom = 0; atom < cpus_.size(); ++atom) {
    atom_by_cpu_[static_cast<std::size_t>(cpus_[atom])] = static_cast<std::int32_t>(atom);
  }
}

std::span<const int> HostTopology::cpus_of(const Slice& slice) const {
  TESSERA_CHECK(slice.count > 0 && slice.end() <= atoms());
  return cpus().subspan(slice.first, slice.count);
}

CpuSet HostTopology::set_of(const Slice& slice) const {
  CpuSet set;
  for (const int cpu : cpus_of(slice)) {
    set.add(cpu);
  }
  return set;
}

CpuSet HostTopology::main_set(const Slice& slice) const { return set_of({slice.first, 1}); }

std::optional<std::uint16_t> HostTopology::atom_of(int cpu) const {
  if (cpu < 0 || static_cast<std::size_t>(cpu) >= atom_by_cpu_.size()) {
    return std::nullopt;
  }
  const std::int32_t atom = atom_by_cpu_[static_cast<std::size_t>(cpu)];
  return atom < 0 ? std::nullopt : std::optional(static_cast<std::uint16_t>(atom));
}

}  // namespace tessera::device
