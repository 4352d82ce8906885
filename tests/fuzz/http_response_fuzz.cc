// What a server may answer to a client: a response in pieces, and a model's metadata. The first byte is the pieces'
// size.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "client/http/response_reader.h"
#include "client/inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::size_t piece = data[0] + 1U;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  constexpr std::size_t kKeep = 1000;
  tessera::client::ResponseReader reader(kKeep);
  bool going = true;
  for (std::size_t i = 0; i < text.size() && going; i += piece) {
    const auto complete = reader.feed(text.substr(i, piece));
    going = complete.ok() && !*complete;
  }
  TESSERA_CHECK(reader.body().size() <= kKeep);
  if (going) {
    static_cast<void>(reader.end().ok());
  }
  const auto model = tessera::client::parse_model_metadata(text, "m");
  if (model.ok() && model->inputs.size() < 4) {
    // A megabyte at most: sizes beyond the limit are refused before anything is made of them.
    bool small = true;
    for (const auto& input : model->inputs) {
      for (const std::int64_t dim : input.shape.dims()) {
        small = small && (dim < 16 || dim > 1'000'000'000);
      }
      small = small && input.shape.rank() < 4;
    }
    if (small) {
      static_cast<void>(tessera::client::make_inputs(*model, {}, 2, 1).ok());
    }
  }
  return 0;
}
