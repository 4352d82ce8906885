// Which atoms of a device are busy, until when as far as is known, and which slices a launch could take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/slice.h"

namespace tessera::sched {

// Owned by the scheduler; policies see it const. Slices are named by their place on the ladder.
class Occupancy {
 public:
  struct SliceState {
    Slice slice;
    std::int32_t processors = 0;
    std::size_t group = 0;                 // slices with equally many processors
    std::uint16_t depth = 0;               // launches running or committed on its busiest atom
    bool blocked = false;                  // lent to the loader, or about to be; or some of it is lost
    TimePoint free_at = TimePoint::min();  // predicted end of what it waits for; in the past for an idle one
  };

  // `depth` launches at most on one atom: the running one and those committed behind it.
  Occupancy(DeviceShape shape, std::uint16_t depth);

  const DeviceShape& shape() const { return shape_; }
  std::span<const SliceState> slices() const { return slices_; }
  const SliceState& slice(std::size_t index) const { return slices_[index]; }
  std::optional<std::size_t> index_of(const Slice& slice) const;
  // The place of the whole device.
  std::size_t whole() const { return slices_.size() - 1; }

  std::size_t groups() const { return group_processors_.size(); }
  std::int32_t group_processors(std::size_t group) const { return group_processors_[group]; }
  std::span<const std::size_t> group_slices(std::size_t group) const { return group_slices_[group]; }

  // The share of all atoms that are not in a slice of that group.
  double others_share(std::size_t group) const {
    return 1.0 - static_cast<double>(slices_[group_slices_[group].front()].slice.count) / shape_.atoms();
  }
  // The share of all atoms that are busy outside that slice.
  double busy_beside(std::size_t index) const;

  std::uint16_t depth() const { return depth_; }
  // Batches in slices of that size that it takes at a time, running or committed.
  std::size_t at_once(std::size_t group) const {
    return static_cast<std::size_t>(group_processors_.back() / group_processors_[group]) * depth_;
  }
  // Atoms that have more launches than that take none until they have fewer.
  void set_depth(std::uint16_t depth);
  bool idle(std::size_t index) const { return slices_[index].depth == 0 && !slices_[index].blocked; }
  // A launch may be added now (it runs at once only where the slice is idle).
  bool open(std::size_t index) const { return slices_[index].depth < depth_ && !slices_[index].blocked; }
  std::uint16_t idle_atoms() const { return idle_atoms_; }
  std::size_t in_flight() const { return running_.size(); }
  bool atom_idle(std::uint16_t atom) const { return atoms_[atom].depth == 0 && !atoms_[atom].closed(); }
  TimePoint atom_free_at(std::uint16_t atom) const { return atoms_[atom].free_at; }
  // How long each atom's work takes yet, by atom, times its processors, in all. What should have ended may never do:
  // for as long as a launch has been due already, nothing is expected of its atoms.
  double processor_ns_left(TimePoint now) const;
  std::int32_t processors_not_lost() const;
  // How many idle atoms there are in one piece around a slice.
  std::uint16_t idle_run_around(const Slice& slice) const;
  TimePoint start_on(std::size_t index, TimePoint now) const {
    return slices_[index].free_at > now ? slices_[index].free_at : now;
  }

  // The slice must be open. Returns the predicted end.
  TimePoint add(LaunchId launch, std::size_t index, TimePoint now, Duration predicted);
  // `ended`: when those committed behind it began, where it was the last that they waited for.
  void remove(LaunchId launch, TimePoint ended, TimePoint now);
  // A blocked slice takes no more launches; what runs there goes on. One at a time.
  void block(const Slice& slice);
  void unblock();
  // The launch does not end: it is forgotten, and its atoms are closed, until as many are found again as were lost.
  void lose(LaunchId launch, TimePoint now);
  void find_again(const Slice& slice);
  std::uint16_t atoms_lost() const;
  bool drained(const Slice& slice) const;

 private:
  struct Running {
    LaunchId launch;
    std::size_t slice = 0;
    TimePoint begins{};  // when it was given to an idle slice, or what it waited for ended; before, as predicted
    TimePoint given{};   // when it was, or the last end so far of what it waits for: it cannot begin sooner
    Duration predicted{0};
    bool begun = false;  // nothing is before it any more
  };
  struct Atom {
    std::uint16_t depth = 0;
    bool blocked = false;
    std::uint16_t lost = 0;  // by so many launches
    TimePoint free_at = TimePoint::min();
    bool closed() const { return blocked || lost > 0; }
  };

  // A slice that two others, before it on the ladder, make up: what holds of it follows from them.
  struct Halves {
    std::size_t first = 0;
    std::size_t second = 0;
  };

  std::vector<Running>::iterator running(LaunchId launch);
  void predict_ends(TimePoint now);
  std::optional<Halves> halves_of(std::size_t index) const;
  void refresh_slices();

  DeviceShape shape_;
  std::uint16_t depth_;
  std::vector<SliceState> slices_;
  std::vector<std::optional<Halves>> halves_;   // by slice
  std::vector<std::int32_t> group_processors_;  // ascending
  std::vector<std::vector<std::size_t>> group_slices_;
  std::vector<Atom> atoms_;
  std::vector<Running> running_;  // in the order of their launches
  std::uint16_t idle_atoms_ = 0;
};

}  // namespace tessera::sched
