#ifndef LORY_TOOLS_MODEL_HUGGING_FACE_TENSORS_H_
#define LORY_TOOLS_MODEL_HUGGING_FACE_TENSORS_H_

#include "worker/model/parameter_store.h"

namespace lory::surgery {

// One of our parameters as the files of Hugging Face's models have it: its own
// name, but that Mixtral has a tensor for each expert, and names of its own in
// the feed-forward. Views of the parameter: for reading and for writing.
lory::model::NamedTensors HuggingFaceTensors(
    const lory::model::Parameter& parameter);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_HUGGING_FACE_TENSORS_H_
