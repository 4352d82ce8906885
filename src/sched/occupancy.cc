#include "sched/occupancy.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tessera::sched {

Occupancy::Occupancy(DeviceShape shape, std::uint16_t depth) : shape_(std::move(shape)), depth_(depth) {
  TESSERA_CHECK(shape_.atoms() > 0);
  TESSERA_CHECK(depth_ > 0);
  for (const Slice& slice : shape_.ladder) {
    const int processors = shape_.processors_in(slice);
    slices_.push_back({slice, processors});
    group_processors_.push_back(processors);
  }
  TESSERA_CHECK(!slices_.empty() && slices_.back().slice == shape_.whole());
  std::sort(group_processors_.begin(), group_processors_.end());
  group_processors_.erase(std::unique(group_processors_.begin(), group_processors_.end()), group_processors_.end());
  group_slices_.resize(group_processors_.size());
  for (std::size_t index = 0; index < slices_.size(); ++index) {
    SliceState& state = slices_[index];
    const auto at = std::lower_bound(group_processors_.begin(), group_processors_.end(), state.processors);
    state.group = static_cast<std::size_t>(at - group_processors_.begin());
    group_slices_[state.group].push_back(index);
    halves_.push_back(halves_of(index));
  }
  atoms_.resize(shape_.atoms());
  idle_atoms_ = shape_.atoms();
}

std::optional<Occupancy::Halves> Occupancy::halves_of(std::size_t index) const {
  const Slice whole = slices_[index].slice;
  for (std::size_t first = 0; first < index; ++first) {
    for (std::size_t second = 0; second < index; ++second) {
      const Slice& one = slices_[first].slice;
      const Slice& other = slices_[second].slice;
      if (one.first == whole.first && one.end() == other.first && other.end() == whole.end()) {
        return Halves{first, second};
      }
    }
  }
  return std::nullopt;
}

void Occupancy::set_depth(std::uint16_t depth) {
  TESSERA_CHECK(depth > 0);
  depth_ = depth;
}

std::optional<std::size_t> Occupancy::index_of(const Slice& slice) const {
  for (std::size_t index = 0; index < slices_.size(); ++index) {
    if (slices_[index].slice == slice) {
      return index;
    }
  }
  return std::nullopt;
}

std::uint16_t Occupancy::idle_run_around(const Slice& slice) const {
  std::uint16_t first = slice.first;
  std::uint16_t end = slice.end();
  while (first > 0 && atom_idle(static_cast<std::uint16_t>(first - 1))) {
    --first;
  }
  while (end < shape_.atoms() && atom_idle(end)) {
    ++end;
  }
  return static_cast<std::uint16_t>(end - first);
}

TimePoint Occupancy::add(LaunchId launch, std::size_t index, TimePoint now, Duration predicted) {
  TESSERA_CHECK(open(index));
  const TimePoint begins = start_on(index, now);
  const TimePoint ends = begins + predicted;
  running_.push_back({launch, index, begins, now, predicted, idle(index)});
  for (std::uint16_t atom = slices_[index].slice.first; atom < slices_[index].slice.end(); ++atom) {
    TESSERA_CHECK(atoms_[atom].depth < depth_ && !atoms_[atom].closed());
    ++atoms_[atom].depth;
  }
  predict_ends(now);
  return ends;
}

std::vector<Occupancy::Running>::iterator Occupancy::running(LaunchId launch) {
  const auto found =
      std::find_if(running_.begin(), running_.end(), [&](const Running& r) { return r.launch == launch; });
  TESSERA_CHECK(found != running_.end());
  return found;
}

void Occupancy::remove(LaunchId launch, TimePoint ended, TimePoint now) {
  const auto found = running(launch);
  const Slice slice = slices_[found->slice].slice;
  running_.erase(found);
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    TESSERA_CHECK(atoms_[atom].depth > 0);
    --atoms_[atom].depth;
  }
  for (Running& other : running_) {
    if (!other.begun && slices_[other.slice].slice.overlaps(slice)) {
      other.given = std::max(other.given, ended);
    }
  }
  predict_ends(now);
}

void Occupancy::block(const Slice& slice) {
  TESSERA_CHECK(std::none_of(atoms_.begin(), atoms_.end(), [](const Atom& atom) { return atom.blocked; }));
  TESSERA_CHECK(slice.end() <= shape_.atoms());
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    atoms_[atom].blocked = true;
  }
  refresh_slices();
}

void Occupancy::unblock() {
  for (Atom& atom : atoms_) {
    atom.blocked = false;
  }
  refresh_slices();
}

void Occupancy::lose(LaunchId launch, TimePoint now) {
  const Slice slice = slices_[running(launch)->slice].slice;
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    ++atoms_[atom].lost;
  }
  remove(launch, now, now);
}

void Occupancy::find_again(const Slice& slice) {
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    TESSERA_CHECK(atoms_[atom].lost > 0);
    --atoms_[atom].lost;
  }
  refresh_slices();
}

double Occupancy::processor_ns_left(TimePoint now) const {
  const auto ns = [](Duration span) { return static_cast<double>(span.count()); };
  double sum = 0;
  for (std::size_t atom = 0; atom < atoms_.size(); ++atom) {
    sum += ns(std::max(atoms_[atom].free_at, now) - now) * shape_.processors[atom];
  }
  for (const Running& running : running_) {
    const TimePoint due = running.begins + running.predicted;
    sum += running.begun && due < now ? ns(now - due) * slices_[running.slice].processors : 0;
  }
  return sum;
}

std::int32_t Occupancy::processors_not_lost() const {
  std::int32_t sum = 0;
  for (std::size_t atom = 0; atom < atoms_.size(); ++atom) {
    sum += atoms_[atom].lost > 0 ? 0 : shape_.processors[atom];
  }
  return sum;
}

std::uint16_t Occupancy::atoms_lost() const {
  return static_cast<std::uint16_t>(
      std::count_if(atoms_.begin(), atoms_.end(), [](const Atom& atom) { return atom.lost > 0; }));
}

bool Occupancy::drained(const Slice& slice) const {
  return std::all_of(atoms_.begin() + slice.first, atoms_.begin() + slice.end(),
                     [](const Atom& atom) { return atom.depth == 0 && atom.lost == 0; });
}

// A launch that ends early or late moves those committed behind it, so all ends are derived anew, in launch order.
void Occupancy::predict_ends(TimePoint now) {
  for (Atom& atom : atoms_) {
    atom.free_at = TimePoint::min();
  }
  for (Running& running : running_) {
    const Slice slice = slices_[running.slice].slice;
    TimePoint behind = TimePoint::min();
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      behind = std::max(behind, atoms_[atom].free_at);
    }
    if (behind != TimePoint::min()) {
      running.begins = std::max(behind, now);
    } else if (!std::exchange(running.begun, true)) {
      running.begins = running.given;
    }
    const TimePoint ends = running.begins + running.predicted;
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      atoms_[atom].free_at = ends;
    }
  }
  refresh_slices();
}

void Occupancy::refresh_slices() {
  idle_atoms_ = 0;
  for (std::uint16_t atom = 0; atom < shape_.atoms(); ++atom) {
    idle_atoms_ = static_cast<std::uint16_t>(idle_atoms_ + (atom_idle(atom) ? 1 : 0));
  }
  for (std::size_t index = 0; index < slices_.size(); ++index) {
    SliceState& state = slices_[index];
    if (halves_[index]) {
      const SliceState& first = slices_[halves_[index]->first];
      const SliceState& second = slices_[halves_[index]->second];
      state.depth = std::max(first.depth, second.depth);
      state.blocked = first.blocked || second.blocked;
      state.free_at = std::max(first.free_at, second.free_at);
      continue;
    }
    state.depth = 0;
    state.blocked = false;
    state.free_at = TimePoint::min();
    for (std::uint16_t atom = state.slice.first; atom < state.slice.end(); ++atom) {
      state.depth = std::max(state.depth, atoms_[atom].depth);
      state.blocked = state.blocked || atoms_[atom].closed();
      state.free_at = std::max(state.free_at, atoms_[atom].free_at);
    }
  }
}

double Occupancy::busy_beside(std::size_t index) const {
  int busy = 0;
  for (std::uint16_t atom = 0; atom < shape_.atoms(); ++atom) {
    busy += atoms_[atom].depth > 0 && !slices_[index].slice.contains(atom) ? 1 : 0;
  }
  return static_cast<double>(busy) / shape_.atoms();
}

}  // namespace tessera::sched
