// Identifiers that cannot be mixed up: each kind is a type of its own around one integer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace tessera {

template <typename Tag, typename Rep = std::uint64_t>
struct Id {
  Rep value = 0;

  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

using RequestId = Id<struct RequestTag>;  // unique in a process; 0 means none
using LaunchId = Id<struct LaunchTag>;    // unique per device; 0 means none
using CopyId = Id<struct CopyTag>;        // rising on a device; 0 means none
using InstanceId =
    Id<struct InstanceTag, std::uint32_t>;            // a model version loaded on one device; never reused in a process
using LaneIndex = Id<struct LaneTag, std::uint16_t>;  // counts from 0 within an instance
using ShapeId =
    Id<struct ShapeTag, std::uint32_t>;  // which requests of an instance may share a batch (equal row shapes)

// Counts that would otherwise be bare integers.
struct Bytes {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const Bytes&, const Bytes&) = default;
};

}  // namespace tessera

template <typename Tag, typename Rep>
struct std::hash<tessera::Id<Tag, Rep>> {
  std::size_t operator()(const tessera::Id<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value); }
};
