// Journals: whatever the bytes, reading ends, with an error or not; what a record says can be printed and written.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/check.h"
#include "sched/journal.h"

namespace {

void use(const tessera::sched::JournalStep& step) {
  TESSERA_CHECK(!tessera::sched::describe(step.event).empty());
  const auto actions = tessera::sched::decode_actions(step.actions);
  if (!actions.ok()) return;
  for (const auto& action : *actions) TESSERA_CHECK(!tessera::sched::describe(action).empty());
  std::string again;
  tessera::sched::write_step(step.device, step.at, step.event, *actions, again);
}

}  // namespace

// The first byte says whether records' lengths and hashes are put right first, without which hardly any would be read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string journal(tessera::sched::kJournalHead);
  if (data[0] % 2 == 0) {
    journal += bytes;
  } else {
    tessera::sched::write_record(bytes, journal);
  }
  auto reader = tessera::sched::JournalReader::open(journal);
  TESSERA_CHECK(reader.ok());
  for (;;) {
    const auto record = reader->next();
    if (!record.ok() || !*record) return 0;
    if (const auto* step = std::get_if<tessera::sched::JournalStep>(&**record)) use(*step);
  }
}
